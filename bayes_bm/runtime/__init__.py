"""What knows nothing of survival: errors, files, parallel fits, type aliases."""
