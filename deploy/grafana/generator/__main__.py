"""`python -m deploy.grafana.generator` writes the dashboards; `make dashboards` does so."""

from deploy.grafana.generator import write

if __name__ == "__main__":
    write()
