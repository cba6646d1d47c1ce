/* input events
{"ts": "1970-01-01T00:00:01", "doc": "{\"a\": {\"b\": 7}, \"s\": \"t\", \"l\": [1, 2, 3]}"}
{"ts": "1970-01-01T00:00:02", "doc": "{\"s\": null}"}
{"ts": "1970-01-01T00:00:03", "doc": "not json"}
{"ts": "1970-01-01T00:00:04"}
*/
CREATE TABLE events (ts TIMESTAMP, doc TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'json');
SELECT ts, json_get_int(doc, 'a', 'b') AS b, json_get_str(doc, 's') AS s, json_length(doc, 'l') AS l, json_contains(doc, 's') AS has, json_get_int(doc, 'l', 2) AS last FROM events;
/* expected results
1970-01-01T00:00:01 | 7 | t | 3 | true | 3
1970-01-01T00:00:02 | ∅ | ∅ | ∅ | true | ∅
1970-01-01T00:00:03 | ∅ | ∅ | ∅ | false | ∅
1970-01-01T00:00:04 | ∅ | ∅ | ∅ | false | ∅
*/
