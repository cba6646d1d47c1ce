/* input flows
1970-01-01 00:00:01,128.11.68.132
1970-01-01 00:00:02,128.11.68.133
1970-01-01 00:00:03,128.11.68.132
1970-01-01 00:00:04,2001:db8::1
1970-01-01 00:00:05,2001:db8::ffff
1970-01-01 00:00:06,host
1970-01-01 00:00:07,
*/
CREATE TABLE flows (ts TIMESTAMP, sa TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT ts, anonymize_ip(sa) AS sa FROM flows;
-- Wherever it is set: it is known before the first query.
SET anonymize_key = '${env:ANONYMIZE_KEY}';
/* expected results
1970-01-01T00:00:01 | 135.242.180.132
1970-01-01T00:00:02 | 135.242.180.133
1970-01-01T00:00:03 | 135.242.180.132
1970-01-01T00:00:04 | 4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e
1970-01-01T00:00:05 | 4401:2bc:603f:d91d:27f:ff8e:e6f1:703f
1970-01-01T00:00:06 | ∅
1970-01-01T00:00:07 | ∅
*/
