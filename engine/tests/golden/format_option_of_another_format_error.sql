CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'json', 'csv.columns' = 'header');
SELECT k FROM flows;
/* expected error
line 2, column 44: table `flows`: unknown option `csv.columns`; valid here are `allowed_lateness`, `bad_record`, `connector`, `dead_letter_table`, `dead_letter_topic`, `event_time_field`, `format`, `idle_timeout`, `json.max_record_bytes`, `late_table`, `late_topic`, `limit`, `max_drift`, `max_future`, `max_keys`, `on_error`, `overflow`, `partitioned_by`
*/
