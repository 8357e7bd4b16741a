"""The controller: pure core, shell, adapters, command line."""
