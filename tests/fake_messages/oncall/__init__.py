"""The on-call model: `python -m tests.fake_messages --model tests.fake_messages.oncall:OnCall`."""

from tests.fake_messages.oncall.engineer import OnCall

__all__ = ["OnCall"]
