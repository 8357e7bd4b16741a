"""A fake Messages API: the real protocol on a loopback port, any scripted model behind it."""
