"""nginx: headers by which a proxy tells an application about a request, so that no client may.

nginx has no masks for headers, so each is named. Those that we set are in the template; names
with underscores are dropped there. `Via` gives no rights, so it stays.
"""

from __future__ import annotations

ADDRESS = """
Forwarded X-Forwarded Forwarded-For Forwarded-For-Ip X-Original-Forwarded-For X-Forwarded-By
X-Client-IP Client-IP True-Client-IP X-True-Client-IP X-Cluster-Client-IP X-ProxyUser-Ip
CF-Connecting-IP CF-Connecting-IPv6 CF-Pseudo-IPv4 Fastly-Client-IP Fly-Client-IP
X-Azure-ClientIP X-Azure-SocketIP X-Appengine-User-IP X-Envoy-External-Address
X-Remote-IP X-Remote-Addr Remote-Addr X-Originating-IP
"""
"""Who asks."""

TARGET = """
X-Forwarded-Server X-Forwarded-Prefix X-Forwarded-Path X-Forwarded-Uri X-Forwarded-Method
X-Forwarded-Scheme X-Forwarded-Protocol X-Forwarded-Ssl X-Forwarded-Host-Override
X-Original-URL X-Original-URI X-Original-Host X-Original-Method X-Rewrite-URL
X-Host X-HTTP-Host-Override X-Scheme X-Url-Scheme Front-End-Https X-ARR-SSL CF-Visitor
"""
"""What is asked for: a path, a host, a scheme."""

USER = """
X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username
X-Forwarded-Access-Token Remote-User X-Remote-User Remote-Email Remote-Name Remote-Groups
X-Remote-Group X-Authenticated-User X-Auth-Request-User X-Auth-Request-Email
X-Auth-Request-Groups X-Auth-Request-Preferred-Username X-Webauth-User
"""
"""Who has logged in."""

CLIENT_CERTIFICATE = """
X-Forwarded-Client-Cert X-Forwarded-Tls-Client-Cert X-Forwarded-Tls-Client-Cert-Info
X-SSL-Client-Cert X-SSL-Client-Verify X-SSL-Client-S-DN X-SSL-Client-I-DN X-SSL-Client-Serial
X-SSL-Client-Fingerprint X-SSL-Client-CN X-SSL-Client-DN
SSL-Client-Cert SSL-Client-Verify SSL-Client-S-DN SSL-Client-Subject-DN SSL-Client-Issuer-DN
X-Client-Cert X-Client-Verify X-Client-DN Client-Cert Client-Cert-Chain X-ARR-ClientCert
"""
"""With which certificate a client proved itself (RFC 9440, and what was there before)."""

OTHERS = "Proxy HTTP2-Settings X-Sendfile-Type X-Accel-Mapping"
"""`Proxy` is taken for `http_proxy` by CGI; Rack reads files by the last two."""

FOREIGN = tuple(" ".join((ADDRESS, TARGET, USER, CLIENT_CERTIFICATE, OTHERS)).split())
"""What is never passed on."""
