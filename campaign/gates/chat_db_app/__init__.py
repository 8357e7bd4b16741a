"""chat-db-app's vocabulary, for the assertions of every gate: people, answers, words, samples."""
