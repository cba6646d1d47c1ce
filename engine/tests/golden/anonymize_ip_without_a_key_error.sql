CREATE TABLE flows (ts TIMESTAMP, sa TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT ts, anonymize_ip(sa) AS sa FROM flows;
/* expected error
line 2, column 12: `anonymize_ip` has no key; write SET anonymize_key = '${file:path}' or '${env:NAME}': 32 bytes as hexadecimal digits or base64
*/
