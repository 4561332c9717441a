"""Funnels: what a definition says, and how events are judged by it; pure, with no table, no session and no clock."""
