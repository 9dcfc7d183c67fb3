"""Pictures: text by recognition, axes and arms from pixels."""
