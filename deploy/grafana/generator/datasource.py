"""Where panels ask."""

from __future__ import annotations

from grafana_foundation_sdk.models.common import DataSourceRef

#: as provisioned (`provisioning/datasources`)
UID = "prometheus"

PROMETHEUS = DataSourceRef(type_val="prometheus", uid=UID)
