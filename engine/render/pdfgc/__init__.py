"""The `pdfgc` renderer: PD-FGC's networks behind the common protocol."""
