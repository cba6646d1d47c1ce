CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w,
  string_agg(k, ',' ORDER BY k) AS ks FROM flows GROUP BY 1;
/* expected error
line 3, column 1: string_agg(… ORDER BY …) is not supported in a window; use first_value or last_value with ORDER BY, or sort the array above the window with array_sort
*/
