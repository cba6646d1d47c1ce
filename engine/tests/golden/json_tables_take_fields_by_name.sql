/* input events
{"v": 1, "k": "x", "ts": "1970-01-01T00:00:01", "more": [1, {"a": 2}]}
{"ts": "1970-01-01T00:00:02", "k": null, "v": 2}
{"ts": "1970-01-01T00:00:03"}
bad> {"ts": "1970-01-01T00:00:04", "v": "seven"}
bad> {"ts": "1970-01-01T00:00:05", "v":
{"ts": "1970-01-01T00:01:06", "k": "Grüße 😀", "v": -9223372036854775808}
*/
CREATE TABLE events (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'json');
SELECT k, tumble(INTERVAL '1 minute') AS w, count(*) AS n, sum(v) AS s FROM events GROUP BY 1, 2;
/* expected counts
bad records, wrong_type: 1
bad records, malformed: 1
*/
/* expected results
Grüße 😀 | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1 | -9223372036854775808
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | 1
∅ | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | 2
*/
