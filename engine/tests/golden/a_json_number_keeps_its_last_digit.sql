/* input flows
{"ts": "1970-01-01T00:00:01Z", "v": 31.245270191439438}
{"ts": "1970-01-01T00:00:02Z", "v": 121.48791951161945}
*/
CREATE TABLE flows (ts TIMESTAMP, v DOUBLE, WATERMARK FOR ts) WITH (connector = 'test', format = 'json');
SELECT ts, v FROM flows;
/* expected results
1970-01-01T00:00:01 | 31.245270191439438
1970-01-01T00:00:02 | 121.48791951161945
*/
