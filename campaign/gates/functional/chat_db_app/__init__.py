"""What only chat-db-app is asked."""
