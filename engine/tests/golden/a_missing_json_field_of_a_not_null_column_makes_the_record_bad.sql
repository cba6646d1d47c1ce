/* input events
{"ts": "1970-01-01T00:00:01", "k": "x"}
bad> {"ts": "1970-01-01T00:00:02"}
bad> {"ts": "1970-01-01T00:00:03", "k": null}
{"ts": "1970-01-01T00:00:04", "k": ""}
*/
CREATE TABLE events (ts TIMESTAMP, k TEXT NOT NULL, WATERMARK FOR ts) WITH (connector = 'test', format = 'json');
SELECT k, ts FROM events;
/* expected counts
bad records, missing: 2
*/
/* expected results
 | 1970-01-01T00:00:04
x | 1970-01-01T00:00:01
*/
