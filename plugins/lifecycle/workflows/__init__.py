"""A pipeline's file as objects of Argo Workflows: the DAG's steps with the same images, commands and pods."""

from lifecycle.workflows.objects import objects

__all__ = ["objects"]
