/* SPDX-License-Identifier: Apache-2.0 */
/* Runs every file of a folder through a fuzz target, where there is no libFuzzer. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	static uint8_t data[65536];
	const struct dirent *entry;
	unsigned count = 0;
	char path[4096];
	DIR *folder = argc > 1 ? opendir(argv[1]) : NULL;

	while (folder && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		FILE *file = entry->d_name[0] != '.' ? fopen(path, "rb") : NULL;
		if (!file)
			continue;
		size_t len = fread(data, 1, sizeof(data), file);
		fclose(file);
		LLVMFuzzerTestOneInput(data, len);
		count++;
	}
	if (folder)
		closedir(folder);
	printf("%u inputs\n", count);
	return count ? 0 : 1;
}
