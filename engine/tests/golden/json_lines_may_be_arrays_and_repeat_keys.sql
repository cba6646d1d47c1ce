/* input events
[{"ts": "1970-01-01T00:00:01", "v": 1}, {"ts": "1970-01-01T00:00:02", "v": 2}]
{"ts": "1970-01-01T00:00:03", "v": 3, "v": 4}
*/
/* oracle input events
{"ts": "1970-01-01T00:00:01", "v": 1}
{"ts": "1970-01-01T00:00:02", "v": 2}
{"ts": "1970-01-01T00:00:03", "v": 4}
*/
CREATE TABLE events (ts TIMESTAMP, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'json');
SELECT ts, v FROM events;
/* expected results
1970-01-01T00:00:01 | 1
1970-01-01T00:00:02 | 2
1970-01-01T00:00:03 | 4
*/
