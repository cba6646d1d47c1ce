CREATE TABLE flows (ts TIMESTAMP, sa TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SET anonymize_key = '${env:ANONYMIZE_KEY}';
SELECT ts, anonymize_ip(sa, 'a key') AS sa FROM flows;
/* expected error
line 3, column 12: `anonymize_ip` takes one argument (address), not 2; the key comes from SET anonymize_key = '${file:path}', never from an argument
*/
