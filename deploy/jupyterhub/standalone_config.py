"""Between the hub and one reader's pages: shows them their token, so that they answer to this proxy alone."""

import os

c = get_config()  # noqa: F821
c.StandaloneProxyServer.absolute_url = True
c.StandaloneProxyServer.timeout = 90
c.StandaloneProxyServer.request_headers_override = {"Authorization": f"token {os.environ['ONLM_TOKEN']}"}
