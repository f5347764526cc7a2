"""What happens to a recording inside the service: decode it apart, choose a model, transcribe, format, store."""
