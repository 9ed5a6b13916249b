"""What every room uses: errors, progress, files, arrays, processes, devices; knows nothing of motion."""
