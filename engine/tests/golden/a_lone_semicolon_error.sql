;
/* expected error
the script has nothing to run; add INSERT INTO sink SELECT …, or a SELECT
*/
