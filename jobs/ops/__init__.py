"""The ops tables that are measured, one module each: plain values in, rows out."""
