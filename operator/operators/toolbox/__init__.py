"""The one toolbox that every operator works through."""
