CREATE TABLE flows (ts TIMESTAMP, sa TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SET anonymize_key = '1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202';
SELECT ts, anonymize_ip(sa) AS sa FROM flows;
/* expected error
line 2, column 1: setting `anonymize_key` does not say where its key is; write '${file:path}' or '${env:NAME}': what stands in a script is no secret
*/
