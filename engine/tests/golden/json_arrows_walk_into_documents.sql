/* input events
{"ts": "1970-01-01T00:00:01", "doc": "{\"a\": {\"b\": [1, {\"c\": \"x\"}]}, \"t\": true, \"f\": 1.5}"}
{"ts": "1970-01-01T00:00:02", "doc": "{}"}
*/
CREATE TABLE events (ts TIMESTAMP, doc TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'json');
SELECT doc -> 'a' -> 'b' -> 1 ->> 'c' AS c, json_get_json(doc, 'a', 'b') AS b, json_get_bool(doc, 't') AS t, json_get_float(doc, 'f') AS f,
  json_as_text(doc, 't') AS text, (doc ->> 'f')::DOUBLE * 2 AS twice FROM events;
/* expected results
x | [1, {"c": "x"}] | true | 1.5 | true | 3.0
∅ | ∅ | ∅ | ∅ | ∅ | ∅
*/
