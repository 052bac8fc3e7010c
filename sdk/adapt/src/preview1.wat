;; WASI 0.1 as a filter meets it: it is told nothing of the world, and what it writes goes nowhere.
;;
;; Encoded beside the module that imports these functions, whose memory it uses; those that aren't imported are left out.
;; Descriptors 0, 1 and 2 are open character devices, none other is. Errors are WASI's errno.
(module
  (import "env" "memory" (memory 0))

  ;; Arguments and environment: none.
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  (func $none (export "args_sizes_get") (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))

  ;; Clocks stand still, one second after the epoch: some runtimes won't start at zero. Their resolution is 1 ns.
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    (i64.store (local.get $time) (i64.const 1_000_000_000))
    (i32.const 0))
  (func (export "clock_res_get") (param $clock i32) (param $resolution i32) (result i32)
    (i64.store (local.get $resolution) (i64.const 1))
    (i32.const 0))

  ;; Random bytes are all 42.
  (func (export "random_get") (param $to i32) (param $len i32) (result i32)
    (memory.fill (local.get $to) (i32.const 42) (local.get $len))
    (i32.const 0))

  ;; Waiting ends at once: each subscription has come true, without an error, and no time has passed.
  (func (export "poll_oneoff")
    (param $subscriptions i32) (param $events i32) (param $count i32) (param $stored i32) (result i32)
    (if (i32.eqz (local.get $count)) (then (return (i32.const 28)))) ;; inval
    (i32.store (local.get $stored) (local.get $count))
    (loop $next
      (memory.fill (local.get $events) (i32.const 0) (i32.const 32))
      ;; Whose it is, and of which type.
      (i64.store (local.get $events) (i64.load (local.get $subscriptions)))
      (i32.store8 offset=10 (local.get $events) (i32.load8_u offset=8 (local.get $subscriptions)))
      (local.set $subscriptions (i32.add (local.get $subscriptions) (i32.const 48)))
      (local.set $events (i32.add (local.get $events) (i32.const 32)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
    (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))

  ;; The end of the program is a failure of the filter.
  (func (export "proc_exit") (param i32) unreachable)
  (func (export "proc_raise") (param i32) (result i32) unreachable)

  ;; 0 for an open descriptor, else badf.
  (func $check (param $fd i32) (result i32)
    (select (i32.const 0) (i32.const 8) (i32.le_u (local.get $fd) (i32.const 2))))
  (func (export "fd_close") (param $fd i32) (result i32) (call $check (local.get $fd)))
  (func (export "fd_fdstat_set_flags") (param $fd i32) (param i32) (result i32) (call $check (local.get $fd)))
  (func (export "fd_fdstat_get") (param $fd i32) (param $stat i32) (result i32)
    (if (call $check (local.get $fd)) (then (return (i32.const 8))))
    (memory.fill (local.get $stat) (i32.const 0) (i32.const 24))
    (i32.store8 (local.get $stat) (i32.const 2)) ;; a character device
    ;; The right to read is bit 1, to write bit 6.
    (i64.store offset=8 (local.get $stat) (select (i64.const 64) (i64.const 2) (local.get $fd)))
    (i32.const 0))

  ;; Standard input is at its end. What is written to the others is gone.
  (func (export "fd_read") (param $fd i32) (param $buffers i32) (param $count i32) (param $read i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $read) (i32.const 0))
    (i32.const 0))
  (func (export "fd_write") (param $fd i32) (param $buffers i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (if (i32.or (call $check (local.get $fd)) (i32.eqz (local.get $fd))) (then (return (i32.const 8))))
    (block $all
      (loop $next
        (br_if $all (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $buffers))))
        (local.set $buffers (i32.add (local.get $buffers) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))

  ;; All else is about files, directories and sockets: badf, since no descriptor is one. There is no preopened
  ;; directory, so that no path leads anywhere.
  (func (export "fd_sync") (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (export "fd_filestat_get") (export "fd_tell") (export "fd_renumber") (export "sock_shutdown")
    (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (export "path_create_directory") (export "path_remove_directory")
    (export "path_unlink_file") (export "sock_accept")
    (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_allocate") (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_advise") (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (export "fd_pwrite") (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (export "path_symlink") (export "sock_send") (param i32 i32 i32 i32 i32) (result i32)
    (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_readlink") (export "path_rename") (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32)
    (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
)
