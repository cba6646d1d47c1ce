/* input flows
1970-01-01 00:00:01,b,6
1970-01-01 00:00:02,a,6
1970-01-01 00:00:06,d,3
1970-01-01 00:00:11,,
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS w, bit_xor(v) AS x, bit_and(v) AS a, bool_and(v > 3) AS all_, bool_or(v > 3) AS some_,
  min(k) AS lo, max(k) AS hi, string_agg(k, '+') AS ks FROM flows GROUP BY 1;
/* expected results
{start: 1969-12-31T23:59:55, end: 1970-01-01T00:00:05} | 0 | 6 | true | true | a | b | b+a
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:00:10} | 3 | 2 | false | true | a | d | b+a+d
{start: 1970-01-01T00:00:05, end: 1970-01-01T00:00:15} | 3 | 3 | false | false | d | d | d
{start: 1970-01-01T00:00:10, end: 1970-01-01T00:00:20} | ∅ | ∅ | ∅ | ∅ | ∅ | ∅ | ∅
*/
