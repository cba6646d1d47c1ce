CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT tumble(INTERVAL '1 minute') AS w,
  string_agg(k, ',' ORDER BY k) AS ks FROM flows GROUP BY 1;
/* expected error
line 4, column 3: string_agg(… ORDER BY …) is not supported in a window; sort above the window: array_sort(array_agg(x)), array_to_string(array_sort(array_agg(x)), ','); first_value and last_value take ORDER BY
*/
