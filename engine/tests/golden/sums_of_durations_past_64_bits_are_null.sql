/* input flows
1970-01-01 00:00:01,2262-04-11 23:47:16,a
1970-01-01 00:00:02,2262-04-11 23:47:16,b
*/
CREATE TABLE flows (ts TIMESTAMP, te TIMESTAMP, k TEXT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE durations (s TEXT, d TEXT, m TEXT) WITH (connector = 'sink', on_error = 'null');
INSERT INTO durations SELECT CAST(s AS TEXT), CAST(d AS TEXT), CAST(m AS TEXT) FROM
(SELECT tumble(INTERVAL '1 minute') AS w, sum(te - ts) AS s, sum(DISTINCT te - ts) AS d, avg(te - ts) AS m FROM flows GROUP BY 1);
/* no oracle: DataFusion's sums wrap */
/* expected durations
∅ | ∅ | 106751 days 23 hours 47 mins 14.500000000 secs
*/
