CREATE TABLE flows (ts TIMESTAMP, sa TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SET anonymize_key = '${env:SPLIT_LIMIT}';
SELECT ts, anonymize_ip(sa) AS sa FROM flows;
/* expected error
line 2, column 1: setting `anonymize_key`: what `${env:SPLIT_LIMIT}` refers to is no key; a key is 32 bytes as 64 hexadecimal digits or base64, such as `openssl rand -hex 32` prints
*/
