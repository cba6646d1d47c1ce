/* input flows
1,x
61,y
59,x
120,x
*/
/* no oracle: the oracle's event time is a column of the record */
CREATE TABLE flows (seconds BIGINT, k TEXT, at TIMESTAMP GENERATED ALWAYS AS (to_timestamp(seconds)),
  WATERMARK FOR at AS at - INTERVAL '5 seconds') WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w, count(*) AS n, max(k) AS k, max(at) AS last FROM flows GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2 | x | 1970-01-01T00:00:59
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 1 | y | 1970-01-01T00:01:01
{start: 1970-01-01T00:02:00, end: 1970-01-01T00:03:00} | 1 | x | 1970-01-01T00:02:00
*/
