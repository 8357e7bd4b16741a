"""The stack whose parts are the services of `docker-compose.yml`."""
