"""The OSS REST protocol: prepare a request, sign it, send it, read the answer."""
