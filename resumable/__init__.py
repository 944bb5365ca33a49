"""Resumable transfers to Alibaba Cloud OSS."""
