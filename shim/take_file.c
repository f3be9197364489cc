// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel-owned buffers: what is in a file. By the page cache, or through a pipe.
 */
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/pagemap.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/swap.h>
#include <linux/uio.h>

#include "take.h"

/* Copy the first bytes to the program, of what was taken. */
static int io_take_file_head(struct io_kbuf_take *take)
{
	const struct io_mapped_ubuf *imu = take->node->buf;
	unsigned int i;
	size_t n;

	for (i = 0; i < take->nr && iov_iter_count(&take->head); i++) {
		const struct bio_vec *bv = &imu->bvec[i];

		n = min_t(size_t, bv->bv_len, iov_iter_count(&take->head));
		if (copy_page_to_iter(bv->bv_page, bv->bv_offset, n,
				      &take->head) != n)
			return -EFAULT;
	}
	return 0;
}

/*
 * Take what is uptodate of a folio. 0: with the caller's reference, 1: without, as
 * io_take_add(). -ENODATA: the file ends in it.
 */
static int io_take_folio(struct io_kbuf_take *take, struct io_take_file *file,
			 struct folio *folio)
{
	struct inode *inode = file->file->f_mapping->host;
	loff_t size;
	size_t off, n;
	int ret;

	if (!folio_test_uptodate(folio) || folio_test_hwpoison(folio))
		return -EAGAIN;
	/* after that, as filemap_read() */
	size = i_size_read(inode);
	if (file->pos >= size)
		return -ENODATA;
	off = offset_in_folio(folio, file->pos);
	n = min3((loff_t)(folio_size(folio) - off), (loff_t)take->left,
		 size - file->pos);
	folio_mark_accessed(folio);
	if (mapping_writably_mapped(file->file->f_mapping))
		flush_dcache_folio(folio);
	ret = io_take_add(take, folio_page(folio, 0), off, n);
	if (ret >= 0)
		file->pos += n;
	return ret;
}

/* Take folios, and give up those that need no reference; the last result. */
static int io_take_batch(struct io_kbuf_take *take, struct io_take_file *file,
			 struct folio_batch *batch)
{
	unsigned int i, nr = 0;
	int ret = 0;

	for (i = 0; i < folio_batch_count(batch); i++) {
		if (ret >= 0)
			ret = io_take_folio(take, file, batch->folios[i]);
		if (ret)
			batch->folios[nr++] = batch->folios[i];
	}
	batch->nr = nr;
	folio_batch_release(batch);
	return ret;
}

/**
 * io_take_from_cache() - an io_kbuf_source: what the page cache has of a file
 * @take:	the buffer
 * @from:	struct io_take_file
 *
 * Context: task; doesn't wait for I/O.
 * Return: how many bytes were taken: less than asked for only at the end of the file or
 * of memory. 0: the file ends there. -EAGAIN when not all is in the cache, -EFAULT, -ENOMEM.
 */
ssize_t io_take_from_cache(struct io_kbuf_take *take, void *from)
{
	struct io_take_file *file = from;
	struct address_space *mapping = file->file->f_mapping;
	const loff_t start = file->pos;
	struct folio_batch batch;
	pgoff_t index, end;
	int ret = 0;

	end = (start + take->left - 1) >> PAGE_SHIFT;
	while (ret >= 0 && take->left && file->pos < i_size_read(mapping->host)) {
		folio_batch_init(&batch);
		index = file->pos >> PAGE_SHIFT;
		if (!filemap_get_folios_contig(mapping, &index, end, &batch))
			return -EAGAIN;
		ret = io_take_batch(take, file, &batch);
		cond_resched();
	}
	if (ret == -ENODATA)
		ret = 0;
	if (ret == -EAGAIN || (ret < 0 && file->pos == start))
		return ret;
	file_accessed(file->file);
	ret = io_take_file_head(take);
	return ret ?: file->pos - start;
}

static struct pipe_inode_info *io_take_pipe(void)
{
	struct pipe_inode_info *pipe = current->splice_pipe;

	if (!pipe) {
		pipe = alloc_pipe_info();
		if (!pipe)
			return NULL;
		pipe->readers = 1;
		current->splice_pipe = pipe;
	}
	return pipe;
}

/* Take what is in the pipe, and empty it. */
static int io_take_pipe_bufs(struct io_kbuf_take *take,
			     struct io_take_file *file,
			     struct pipe_inode_info *pipe)
{
	int ret = 0;

	while (!pipe_empty(pipe->head, pipe->tail)) {
		struct pipe_buffer *buf = pipe_buf(pipe, pipe->tail);

		if (!ret)
			ret = pipe_buf_confirm(pipe, buf);
		if (!ret && !sendpage_ok(buf->page))
			ret = -EOPNOTSUPP;
		if (!ret)
			ret = io_take_page(take, buf->page, buf->offset, buf->len);
		if (!ret)
			file->pos += buf->len;
		pipe_buf_release(pipe, buf);
		pipe->tail++;
	}
	pipe->head = 0;
	pipe->tail = 0;
	return ret;
}

/**
 * io_take_from_file() - an io_kbuf_source: a file that has to be read first
 * @take:	the buffer
 * @from:	struct io_take_file
 *
 * Context: task, without the ring's ->uring_lock, as it waits for I/O.
 * Return: as io_take_from_cache(), or an error of the file system.
 */
ssize_t io_take_from_file(struct io_kbuf_take *take, void *from)
{
	struct io_take_file *file = from;
	struct pipe_inode_info *pipe = io_take_pipe();
	const loff_t start = file->pos;
	ssize_t ret = 0;
	loff_t pos;

	if (!pipe)
		return -ENOMEM;
	while (take->left && !fatal_signal_pending(current)) {
		pos = file->pos;
		ret = vfs_splice_read(file->file, &pos, pipe, take->left, 0);
		if (ret <= 0)
			break;
		ret = io_take_pipe_bufs(take, file, pipe);
		if (ret)
			break;
		cond_resched();
	}
	if (file->pos == start)
		return ret;
	ret = io_take_file_head(take);
	return ret ?: file->pos - start;
}
