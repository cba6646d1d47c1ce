/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:03,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, twice BIGINT GENERATED ALWAYS AS (v * 2) STORED,
  tag TEXT GENERATED ALWAYS AS (upper(k) || '!') VIRTUAL, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT tag, tumble(INTERVAL '1 minute') AS w, sum(twice) AS t, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected results
X! | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | 1
X! | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 8 | 4
Y! | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 4 | 2
*/
