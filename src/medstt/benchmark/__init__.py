"""Speed and memory of engines, measured side by side on the same random weights and inputs."""
