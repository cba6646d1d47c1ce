/* input events
{"ts": "1970-01-01T00:00:01", "doc": "{\"ip\": \"10.0.0.1\", \"n\": 2}"}
{"ts": "1970-01-01T00:00:02", "doc": "{\"ip\": \"10.0.0.1\", \"n\": 3}"}
{"ts": "1970-01-01T00:01:03", "doc": "{\"ip\": \"10.0.0.2\", \"n\": 4, \"x\": true}"}
*/
CREATE TABLE events (ts TIMESTAMP, doc TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'json');
SELECT doc ->> 'ip' AS ip, tumble(INTERVAL '1 minute') AS w, sum(json_get_int(doc, 'n')) AS n, bool_or(doc ? 'x') AS x FROM events WHERE doc ->> 'ip' LIKE '10.%' GROUP BY 1, 2;
/* expected results
10.0.0.1 | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 5 | false
10.0.0.2 | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 4 | true
*/
