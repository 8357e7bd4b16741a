"""The operator's shells where they have a container of their own.

`python -m campaign.shell_service` runs in that container, with the same shells as on the local
stack; `client` is what a campaign has in their place; `work_tree` is the folder that both see.
"""
