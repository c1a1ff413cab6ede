"""Waiting for Argo CD, through the Application object and without a token of Argo CD's own."""
