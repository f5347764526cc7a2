"""What fine-tuning gains and costs, proved: several methods from one base, the same tests, paired intervals."""
