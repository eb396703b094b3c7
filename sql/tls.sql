-- Certificates and keys in PEM text: what is wrong with them is said when they
-- are written.  The keys are made for this test and belong to nothing.
-- A PostgreSQL without OpenSSL knows nothing of them.
SELECT setting = '' AS without FROM pg_settings WHERE name = 'ssl_library' \gset
\if :without
\quit
\endif
CREATE EXTENSION kafka_events;
\set QUIET on
\set cert '-----BEGIN CERTIFICATE-----\nMIIBcDCCARWgAwIBAgIUWYANuvm8DTyi0J5Eoq/S7rHKpPMwCgYIKoZIzj0EAwIw\nDDEKMAgGA1UEAwwBYTAgFw0yNjExMjkwNzA4NDFaGA8yMTI2MTEwNTA3MDg0MVow\nDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDN9G//b27O/\nD85Asx519UGy8/ut1Ju8sqAmO9/e8TSK7c9o48jsF4YOOhHWMDkwZOHwbEJ4MygB\nzh/Ue3FPzcWjUzBRMB0GA1UdDgQWBBSDF2QxX4yXOUB/H8EroEmTc4VdMDAfBgNV\nHSMEGDAWgBSDF2QxX4yXOUB/H8EroEmTc4VdMDAPBgNVHRMBAf8EBTADAQH/MAoG\nCCqGSM49BAMCA0kAMEYCIQDgP2FiQiW2ipFgFkeffCRLzmuW2mLCPk2Vg085wm21\niwIhAOocYLhmClcR5VWlUBn8lsPoiKlFd280NsOUMwHlHnPD\n-----END CERTIFICATE-----\n'
\set key '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+N8QroCj2ZrfPuVK\n0uP3WCGB1SjEBJ2CjxGm0ruOxuihRANCAAQzfRv/29uzvw/OQLMedfVBsvP7rdSb\nvLKgJjvf3vE0iu3PaOPI7BeGDjoR1jA5MGTh8GxCeDMoAc4f1HtxT83F\n-----END PRIVATE KEY-----\n'
\set other '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgI7Zn/0tMPwrW4V1l\nRYcsIob5w4LxurSaNuM/XPHC/wuhRANCAAQhY1OooQ8ZwCXjues1ih+u7VogmXcP\nSeiblagsg6p1cW7Iq8wVrrXAFd2UlQjoPI56qIs4matZQxopnMeoXehG\n-----END PRIVATE KEY-----\n'
\set locked '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhy1JbWw2k7LgICCAAw\nDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAwUlNcT0MPL9VArVRiZuwMEgZBZ\nQV0x0nOXFkPC0/Xz0oOv95abA5rGNX4sng1PlVR/9t+ioCktds71TSCP92B7Vwz4\nClBMvOzFkFjG9/hxryB0eVT1l3TzgvBeDU8Sdn6R5XWNzFAfjbAegKO34kYAi61Q\nl9CINqvBXLTxUOUGNR/2l9cB7RIyX9faFW/S+wVh81remOAITJpRcZ5VSKmLjmQ=\n-----END ENCRYPTED PRIVATE KEY-----\n'
\set old '-----BEGIN CERTIFICATE-----\nMIIBADCBpgIBATAKBggqhkjOPQQDAjAMMQowCAYDVQQDDAFhMB4XDTIwMDEwMTAw\nMDAwMFoXDTIxMDEwMTAwMDAwMFowDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEG\nCCqGSM49AwEHA0IABDN9G//b27O/D85Asx519UGy8/ut1Ju8sqAmO9/e8TSK7c9o\n48jsF4YOOhHWMDkwZOHwbEJ4MygBzh/Ue3FPzcUwCgYIKoZIzj0EAwIDSQAwRgIh\nAK/eI5U4Rgnji+4NQ710WkJY6L4CsSIZGBL2XwGf/eFlAiEArvulxkofFbIp4CD0\nthQdAPzralT1YwYKZFlUnM7XBBs=\n-----END CERTIFICATE-----\n'
CREATE SERVER s FOREIGN DATA WRAPPER kafka_events OPTIONS (bootstrap_servers 'k1:9092', service_name 'tls',
  security_protocol 'ssl', ssl_ca_pem :'cert');
-- line breaks that became \n, or got lost
SELECT replace(:'cert', E'\n', '\n') AS escaped, replace(:'cert', E'\n', '') AS flat,
       replace(:'cert', 'MIIB', 'MII') AS torn, left(:'cert', 200) AS cut, :'cert' || replace(:'cert', 'MIIB', 'MII') AS second_torn,
       replace(:'key', E'\n', '\n') AS key_escaped, replace(:'key', 'MIGH', 'MIG') AS key_torn \gset
ALTER SERVER s OPTIONS (SET ssl_ca_pem :'escaped');
ALTER SERVER s OPTIONS (SET ssl_ca_pem :'flat');
ALTER SERVER s OPTIONS (SET ssl_ca_pem :'torn');
ALTER SERVER s OPTIONS (SET ssl_ca_pem :'cut');
ALTER SERVER s OPTIONS (SET ssl_ca_pem :'second_torn');
-- several authorities
SELECT :'cert' || :'old' AS both \gset
ALTER SERVER s OPTIONS (SET ssl_ca_pem :'both');

CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (ssl_certificate_pem :'cert', ssl_key_pem :'key');
ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (SET ssl_key_pem :'other');
ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (SET ssl_key_pem :'key_escaped');
ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (SET ssl_key_pem :'key_torn');
-- an encrypted key
ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (SET ssl_key_pem :'locked');
ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (SET ssl_key_pem :'locked', ADD ssl_key_password 'hunter2');
ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (SET ssl_key_pem :'locked', ADD ssl_key_password 'sesame');
-- a certificate whose time is over can be a dump's
ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS (SET ssl_certificate_pem :'old');
DROP SERVER s CASCADE;
DROP EXTENSION kafka_events;
