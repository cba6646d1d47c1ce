/* input events
{"ts": "1970-01-01T00:00:01", "tags": ["a", "b"]}
{"ts": "1970-01-01T00:00:02", "tags": []}
{"ts": "1970-01-01T00:00:03"}
*/
CREATE TABLE events (ts TIMESTAMP, tags TEXT[], WATERMARK FOR ts) WITH (connector = 'test', format = 'json');
SELECT ts, tags[1] AS first, cardinality(tags) AS n FROM events;
/* expected results
1970-01-01T00:00:01 | a | 2
1970-01-01T00:00:02 | ∅ | 0
1970-01-01T00:00:03 | ∅ | ∅
*/
