CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'csv',
  idle_time = '5s');
SELECT k FROM flows;
/* expected error
line 3, column 3: table `flows`: unknown option `idle_time`; valid here are `allowed_lateness`, `bad_record`, `connector`, `csv.columns`, `csv.delimiter`, `csv.extra_columns`, `csv.header`, `csv.max_record_bytes`, `csv.null`, `csv.rows_per_message`, `dead_letter_table`, `dead_letter_topic`, `event_time_field`, `format`, `idle_timeout`, `late_table`, `late_topic`, `limit`, `max_drift`, `max_future`, `max_keys`, `on_error`, `overflow`, `partitioned_by`
*/
