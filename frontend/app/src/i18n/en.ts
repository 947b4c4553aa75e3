// Every text of these pages in English. `ko.ts` has the same keys: the compiler says which one lacks a text.

import { app } from './en/app';
import { code } from './en/code';
import { people } from './en/people';
import { project } from './en/project';
import { work } from './en/work';

export const en = { ...app, ...project, ...code, ...work, ...people } as const;

export type TextKey = keyof typeof en;
